package My::Job;
use strict;
use constant LIMIT => 3;
our $VERSION = '1.0';
# Runs it.
sub run {
  my ($self, $n) = @_;
  return helper($n);
}
package My::Other { sub inner { 1 } }
{
  sub in_block { 1 }
}
BEGIN { sub early { 1 } }
class Point { field $x; method len { 1 } }
1;
