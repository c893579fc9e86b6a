{ pkgs, lib ? null, ... }:
let
  version = "1";
  mk = name: { inherit name; };
in {
  services.foo.enable = true;
  package = pkgs.mkDerivation { pname = "a"; };
  inherit version;
}
