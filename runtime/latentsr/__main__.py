"""`python -m latentsr`: the command line, where the command itself is not on the path."""

from latentsr.cli import main

if __name__ == "__main__":
    main()
