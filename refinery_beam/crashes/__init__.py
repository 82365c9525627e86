"""What happens when a record kills the process that works on it, or when a worker dies for another reason; docs/crashes.md explains all of
it.

``markers``        workers write down which records they are working on
``job_died``       turns the end of a dead worker process into an error that lists these records
``forked_run``     runs the run itself in a child process, where its workers are threads
``suspects``       tries each of these records again
``retry_alone``    the process that makes these tries, one record at a time
``poison``         ends the run with the record's name, or starts over without the record
``parent_death``   a process that the kernel kills when its parent dies

No Beam here, and no cache: callers pass in the functions of the cache that are needed.
"""
