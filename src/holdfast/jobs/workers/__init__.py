"""Workers: how claimed jobs are run, in the loop, on threads and in child processes."""
