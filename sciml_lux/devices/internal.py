"""What other packages of the library need of `devices`, and users do not."""

from ._distributed import placed_as as placed_as
from ._processes import counts_of_processes as counts_of_processes
from ._processes import is_first_process as is_first_process
from ._processes import of_first_process as of_first_process
from ._processes import wait_for_processes as wait_for_processes
