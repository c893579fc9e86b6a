pragma solidity ^0.8.0;
import "./a.sol";
/// Doc
abstract contract Token is ERC20, Ownable {
  uint256 public constant LIMIT = 3;
  mapping(address => uint) balances;
  event Sent(address to);
  error Bad(uint a);
  struct Point { uint x; }
  enum Color { Red, Green }
  modifier onlyOwner() { _; }
  constructor() {}
  function run(uint a) public returns (uint) { return a; }
  receive() external payable {}
}
interface IToken { function f() external; }
library Math { function add(uint a) internal {} }
function free(uint a) pure returns (uint) { return a; }
type Price is uint256;
