package a.b
import x.Y
@Grab('x')
class Job extends Base implements I {
  static final int LIMIT = 3
  String name
  Job(String n) { name = n }
  def run(int a) { println a }
  private static String help() { 'x' }
}
interface I { void run() }
enum Color { RED, GREEN }
def top(x) { x }
task build { }
