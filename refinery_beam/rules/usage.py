"""Codes of usage: the command line, and the arguments of the Python interface."""

from __future__ import annotations

from refinery_beam.rules.rule import Rule

USAGE = {
    "usage": Rule("the command line", "{usage}", "{command} --help"),
    "bad-seed": Rule("a seed out of range", "a seed is a whole number from {least} to {most}", "choose a smaller number"),
    "workers-range": Rule("`--workers` below 1", "--workers is at least 1", "leave --workers out to use every core"),
    "empty-cache-root": Rule(
        "`--cache-root` or its variable is there, and empty",
        "a cache root is a folder or a URL",
        "name one, or leave the option and the variable out to use ./cache",
    ),
    "variable-missing": Rule(
        "`${env:NAME}` in a location that an option names, where the variable is not set",
        "a variable in a location is set, and not empty",
        "export {name}=... and say it again",
    ),
    "variable-form": Rule(
        "`${env:NAME}` that does not begin a location",
        "a location is a path, a URL, or ${{env:NAME}} with a path behind it",
        "write ${{env:NAME}}/rest/of/the/path",
    ),
    "tag-name": Rule(
        "not the name of a tag",
        "a tag has letters, digits, dots, underscores and hyphens, at most 80; it begins with a letter or a digit, and ends like no recipe",
        "for example train-v3",
    ),
    "tag-exists": Rule(
        "a tag that is the name of another instance already",
        "a tag is the name of one instance until somebody moves it",
        "move it with --move (move=True in Python), or take another name",
    ),
    "tag-elsewhere": Rule(
        "a tag for an instance that is not in the own cache root",
        "a tag lies in the cache root of its instance",
        "name that cache root with --cache-root, or run the recipe in this one",
    ),
    "unknown-sort": Rule("`ls` cannot sort by that", "ls sorts by one of: {known}", "leave --sort out: the last used come first"),
    "tag-missing": Rule("no such tag", "a tag is one that `refinery-beam ls` shows", "name one of: {known}"),
    "ambiguous-target": Rule(
        "a word that means two things", "an instance is named in one way", "write tag:{value} for the tag, or ./{value} for the path"
    ),
    "ambiguous-key": Rule("the beginning of more than one key", "the beginning of a key names one instance", "write more digits: {known}"),
    "unknown-git-policy": Rule("no such policy for git", "--git is one of: {known}", "leave --git out to record the revision"),
    "git-not-clean": Rule(
        "`--git require-clean`, and the recipe's folder has changes, or is in no repository",
        "under --git require-clean what runs is what is committed: the recipe, its plugins and all else that is tracked in its folder",
        "commit the changes, or leave out --git require-clean",
    ),
    "unknown-run": Rule(
        "no such run", "a run is named by its id, or the beginning of it", "refinery-beam log lists runs; --cache-root names their cache"
    ),
    "ambiguous-run": Rule("the beginning of the ids of several runs", "the beginning of an id names one run", "write more digits: {known}"),
    "unknown-drift": Rule("no such kind of drift", "--allow is one of: {known}", "leave --allow out to have every drift refused"),
    "log-limit": Rule("`--limit` below 0", "--limit is a whole number of runs, 0 for all", "leave it out to see the newest 20"),
    "log-since": Rule(
        "not a point in time", "--since is a date or time in UTC, or how long ago: 90m, 12h, 7d", "for example --since 2030-01-31"
    ),
    "init-exists": Rule(
        "`init` would overwrite a file", "init never overwrites a file", "name another file with --output, or overwrite it with --force"
    ),
    "unknown-runner": Rule(
        "no such engine, or one that is refused", "--runner is one of: {known}", "leave --runner out to run on this machine"
    ),
    "beam-option": Rule("what stands behind `--`", "behind -- stand options of Beam: --name=value, or --name value", "leave it out"),
    "worker-environment": Rule(
        "how an engine is to start workers",
        "--environment_type is one of: {known}",
        "PROCESS starts workers from the Python environment of each machine",
    ),
    "worker-code": Rule(
        "how Dataflow's workers get this package",
        "Dataflow's own containers do not hold this package",
        "build an image from the Dockerfile of this release, push it, and say --sdk_container_image=IMAGE; "
        "launchers/dataflow has the commands",
    ),
    "local-place": Rule(
        "a folder of this machine, for workers on others",
        "workers on other machines read sources and write the cache themselves",
        "keep it where all of them reach it",
    ),
    "unknown-mode": Rule("no such mode", "--mode is auto, threads or processes", "leave --mode out"),
    "unknown-log-level": Rule("no such log level", "--log-level is one of: {known}", "leave --log-level out"),
    "two-engines": Rule(
        "an engine as a value, and Beam options beside it",
        "an engine carries its own Beam options",
        "give them as the engine's own: rb.Flink(options={{...}})",
    ),
    "text-file": Rule("`Replay` was given a file that is open as text", "replay reads the bytes of a file", 'open it with mode "rb"'),
    "unknown-digest": Rule(
        "no such kind of digest",
        "--digest is auto or sha256",
        "leave --digest out: the checksums of stores are taken where every file has one",
    ),
    "source-inside-cache": Rule(
        "a source lies in the cache",
        "files in the cache may be replaced or cleaned away",
        "copy the files out of the cache, or use another root",
    ),
    "rank-range": Rule(
        "ranks that a batch cannot be dealt to",
        "a batch is dealt to `world_size` ranks, 0 to world_size - 1, in equal parts",
        "choose a batch_size that world_size divides; it is the size of the batch of all ranks together",
    ),
    "other-stream": Rule(
        "a state of another stream",
        "a state is that of the same split of the same instance, read in batches of the same size",
        "open the instance that the state was saved from, with its batch_size",
    ),
    "batch-size": Rule("a batch of no rows", "a batch has at least one row", "pass 1 or more"),
    "storage-option": Rule(
        "not of the form PROTOCOL.NAME=VALUE",
        "--storage-option is PROTOCOL.NAME=VALUE, with the names of the fsspec package for the protocol",
        "for example --storage-option s3.endpoint_url=http://127.0.0.1:9000",
    ),
    "secret-in-url": Rule(
        "a location with a user or a password in it",
        "a location is printed and written to journals; who reads it is said by storage options",
        "give user and password by --storage-option, or by the environment",
    ),
    "epoch-number": Rule("an epoch below 0", "epochs are counted from 0", "pass 0 or more"),
    "unknown-source": Rule("replay: no such source", "sources are those of the recipe", "name a source of the recipe"),
    "source-needed": Rule(
        "replay of sources that are decoded in different ways: which one",
        "a record is decoded as those of its source",
        "pass source=, one of: {sources}",
    ),
    "split-needed": Rule(
        "splits with different chains: name one", "replay applies the chain of one split", "pass split=, one of: {splits}"
    ),
    "unknown-picture": Rule("`draw` names a picture that the recipe has not", "pictures: {known}", "name a picture of the recipe"),
    "unknown-statistics": Rule(
        "no such fitted statistics", "statistics bear the name of their op in the recipe", "name a fitted op of the recipe"
    ),
}
