"""latentsr's coder in CompressAI's place: the same strings, without lists and without crashes.

    import latentsr.compat
    latentsr.compat.install()      # once, before or after models were made

`ans` has the classes of `compressai.ans`; they can be used without CompressAI.
"""

from latentsr.compat.patch import install, uninstall

__all__ = ["install", "uninstall"]
