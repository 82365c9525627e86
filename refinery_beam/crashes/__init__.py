"""What happens when a record kills the process that works on it, or when a worker dies for another reason; docs/crashes.md tells it whole.

``markers``        workers write down which records they are working on
``worker_deaths``  the death of a worker process becomes an error that lists these records
``forked_run``     where workers are threads of the run: the run itself in a child process
``suspects``       each of these records is tried again, alone
``retry_alone``    the process that makes those tries
``poison``         what follows: the run ends with the record's name, or starts over without it
``parent_death``   a process that the kernel kills when its parent dies

No Beam here, and no cache: what is needed of the cache is passed in.
"""
