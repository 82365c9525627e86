"""Codes of what this machine, a plugin, the cache or a store lacks."""

from __future__ import annotations

from refinery_beam.rules.rule import Rule

_WORDS_OF_PLUGIN = "the words of a dataset are those of the plugin that built it"
_INSTALL_PLUGIN = "install the plugin that built the instance, or name its file with --plugin-path (plugin_paths= in Python)"
_REACHABLE = "a location is a place that this machine can reach and may use"

ENVIRONMENT = {
    "system-refused": Rule(
        "the operating system refused something that no other code is about",
        "folders and files that are named can be reached by this user",
        "check that the folder this was started in still is there, paths and permissions; --debug shows where it happened",
    ),
    "no-memory": Rule(
        "this machine, or the limit of this process, has no memory left",
        "a run needs some hundred megabytes, and more a worker for large images",
        "raise the limit (ulimit -v), use fewer --workers, or a machine with more memory",
    ),
    "init-unwritable": Rule(
        "`init` cannot write its files",
        "init writes the recipe and a schema file in one folder",
        "give this user write permission to {value}, or name another file with --output",
    ),
    "missing-extra": Rule(
        "a package that the run needs is not installed",
        "it comes with the extra named {extra}",
        "pip install 'refinery-beam[{extra}]'",
    ),
    "worker-differs": Rule(
        "a worker runs other versions than the process that began the run",
        "workers run the driver's versions: others could write other bytes",
        "install one release and its requirements.lock on both, or build the workers' image from its Dockerfile again",
    ),
    "unknown-plugin": Rule("no such plugin", "plugin is one of: {known}", "install it, or name its file with --plugin-path"),
    "plugin-path": Rule(
        "a plugin path is no .py file or folder of them, or defines no `PLUGIN`",
        "--plugin-path names a .py file or a folder of .py files, at least one of which defines PLUGIN",
        "correct --plugin-path (or REFINERY_BEAM_PLUGIN_PATH)",
    ),
    "plugin-import": Rule(
        "a plugin raises when it is imported",
        "every plugin that is installed or named must import",
        "mend it, uninstall it, or leave its path out; --debug shows the traceback",
    ),
    "plugin-protocol": Rule(
        "a plugin is not what a plugin must be", "PLUGIN is a refinery_beam.plugins.base.Plugin or Extension", "see docs/plugins.md"
    ),
    "plugin-duplicate": Rule(
        "two plugins, ops or source types of one name", "every {what} has a name of its own", "rename one of the two, or leave one out"
    ),
    "op-failed": Rule(
        "an op, an encoding, a loader or a kind of data raised what its protocol does not allow; names it, its plugin and the record",
        "the {what} of a plugin raises BadRecord for a record it cannot take, and nothing else",
        "mend the {what} (--debug shows where it failed)",
    ),
    "plugin-differs": Rule(
        "a worker has another release of a plugin than the run began with",
        "every worker runs the plugin code that the key was made of",
        "install the same release on every worker",
    ),
    "plugin-loader": Rule(
        "a plugin's loader failed, or named files it may not",
        "a loader names regular files below the source's folder, each once",
        "report it to the plugin's authors",
    ),
    "unknown-loader": Rule("an instance needs a loader that is not installed", _WORDS_OF_PLUGIN, _INSTALL_PLUGIN),
    "unknown-encoding": Rule("an instance needs an encoding that is not installed", _WORDS_OF_PLUGIN, _INSTALL_PLUGIN),
    "op-version": Rule(
        "the instance was made by another version of an op",
        "another version of an op gives other bytes",
        "install the release that built the instance, run the recipe again, or {alternative}",
    ),
    "codec-fingerprint": Rule(
        "the codecs here do other things to pixels than those an instance was made with",
        "served pixels equal prepared pixels only where the codecs do the same",
        "install the package versions of the manifest's `environment`, run the recipe again here, or pass strict=False",
    ),
    "cache-not-a-directory": Rule(
        "the cache root is a file",
        "the cache root is a directory, created when absent",
        "a file stands where a directory is needed: move it, or name another --cache-root",
    ),
    "cache-not-writable": Rule(
        "the cache root may not be written",
        "the user who runs this may write to the cache root",
        "mend the permissions, or name a --cache-root you may write to",
    ),
    "cache-path-too-long": Rule(
        "a name in the cache is longer than the file system allows",
        "every path in the cache is one that its file system can hold",
        "name a shorter --cache-root",
    ),
    "no-space": Rule(
        "the disk of the cache is full",
        "the cache root has room for the whole dataset",
        "free some space, or name a --cache-root on another disk",
    ),
    "store-missing": Rule("no such bucket or object on the [store](stores.md)", _REACHABLE, "create the bucket, or mend its name"),
    "store-permission": Rule(
        "the store refuses these credentials, or has got none",
        _REACHABLE,
        "give credentials by --storage-option {scheme}.NAME=VALUE or the environment; a cache root is listed, read, written, cleared",
    ),
    "store-unreachable": Rule(
        "the store does not answer",
        _REACHABLE,
        "check the network, and the end point (--storage-option {scheme}.endpoint_url=...)",
    ),
    "store-extra": Rule("the package for a scheme is not installed", "object stores are extras", "pip install {package}"),
    "store-scheme": Rule(
        "nothing reads URLs of this scheme",
        "a location is a path, or a URL whose scheme fsspec knows",
        "gs:// and s3:// come with the extras 'gcs' and 's3'; others with their own fsspec package",
    ),
    "store-create-only": Rule(
        "the store overwrites what was to be created only if absent",
        "of several runs at once exactly one may make an instance, which only the store can decide",
        "use a store with conditional puts (GCS, S3), or a local --cache-root",
    ),
    "lease-lost": Rule(
        "the store could not be told that a run is alive",
        "a run renews its lease; one that cannot may have been taken for dead, and what it wrote been swept",
        "look whether the store can be reached all the time, then run again",
    ),
    "store-io": Rule(
        "the cache cannot be read or written",
        "the cache root can be read and written",
        "check the file system, or name another --cache-root",
    ),
    "rerun-drift": Rule(
        "what a run is repeated from is not what it was: files, packages, codecs or code",
        "a rerun has the inputs, packages, codecs and code of what it repeats",
        "put back what changed, or allow it with --allow {kind}",
    ),
    "rerun-no-recipe": Rule(
        "neither the journal nor the instance holds the recipe that was run",
        "what is run again is the text that was run",
        "run the recipe itself",
    ),
    "tag-moved": Rule(
        "two moved a tag at once, and the other one was first",
        "of two who move a tag one is first",
        "see with `refinery-beam ls` what it is now, and say it again if you still want to",
    ),
    "tag-damaged": Rule(
        "the file of a tag cannot be read",
        "the files of tags are written by this program only",
        "remove the file that is named, and tag the instance again",
    ),
    "prefix-clash": Rule(
        "two instances meet in the short form of their names",
        "the names of directories are the first 16 digits; the full digests must agree",
        "use another --cache-root for one of the two",
    ),
    "instance-missing": Rule(
        "no such instance",
        "an instance is a directory with a manifest.json",
        "give the directory that `refinery-beam run` printed, or the recipe and its --cache-root",
    ),
    "no-instance": Rule("the recipe has no instance yet", "verify checks an instance that is there", "refinery-beam run {recipe}"),
    "source-unreadable": Rule(
        "a file could be hashed, and not be read afterwards",
        "files stay readable until a run ends",
        "check the disk or the store that holds the source, and run again; nothing was promoted",
    ),
    "not-an-instance": Rule(
        "an incomplete or empty directory",
        "an instance directory holds manifest.json and every file it lists",
        "name a recipe to see where its instance is, or run it again to rebuild",
    ),
    "damaged": Rule(
        "an instance is not what its manifest says",
        "an instance is as its manifest says",
        "run the recipe again: damaged instances are rebuilt",
    ),
    "manifest-contract": Rule(
        "written by a newer release",
        "a release reads the instances of its own and of earlier contracts",
        "upgrade refinery-beam, or use another --cache-root",
    ),
    "odd-file": Rule(
        "something that is neither file nor folder in an instance",
        "an instance holds plain files only",
        "remove it, or run the recipe again",
    ),
    "promotion-lost": Rule(
        "something else keeps writing in the cache",
        "nothing but refinery-beam works in the cache",
        "look for another program that writes there",
    ),
}
