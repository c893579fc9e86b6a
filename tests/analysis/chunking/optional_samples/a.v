`define WIDTH 8
module counter #(parameter N = 4) (input clk, output reg [N-1:0] q);
  wire x;
  localparam Z = 3;
  always @(posedge clk) q <= q + 1;
  function integer f; input a; f = a; endfunction
  task t; begin end endtask
  sub u1 (.a(x));
endmodule
package p; typedef enum {A, B} color_t; class C; function new(); endfunction endclass endpackage
interface bus; logic a; endinterface
