"""`python -m streams.cli`: the command without its script, as the supervisor starts the workers."""

from streams.cli import main

if __name__ == "__main__":
    main()
