module geometry
  implicit none
  integer, parameter :: limit = 3
  type :: point
    real :: x, y
  contains
    procedure :: len => point_len
  end type point
  interface area
    module procedure area_circle
  end interface
contains
  subroutine run(a)
    integer, intent(in) :: a
  end subroutine run
  function point_len(p) result(r)
    real :: r
  end function
end module geometry
program main
  call run(1)
end program main
