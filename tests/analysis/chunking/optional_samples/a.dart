import 'dart:io';
/// Doc.
abstract class Job<T> extends Base with Mix implements I {
  static const int limit = 3;
  final String name;
  Job(this.name);
  Job.named(String n) : name = n;
  factory Job.make() => Job('x');
  Future<void> run(int a) async { print(a); }
  int get size => 3;
  set size(int v) {}
  bool operator ==(Object o) => true;
}
mixin Mix on Base { void m() {} }
extension Ext on String { int twice() => 2; }
enum Color { red, green; void f() {} }
typedef Callback = void Function(int);
const answer = 42;
void main(List<String> args) { Job('a').run(1); }
