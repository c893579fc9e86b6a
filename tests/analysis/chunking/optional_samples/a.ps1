# Doc
function Get-Job {
  param([string]$Name)
  Write-Output $Name
}
filter Foo { $_ }
class Job : Base {
  [string]$Name
  Job([string]$n) { $this.Name = $n }
  [int] Run([int]$a) { return $a }
}
enum Color { Red; Green }
$script:limit = 3
function script:Inner($x) { 1 }
