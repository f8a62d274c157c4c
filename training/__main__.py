"""``python -m training``."""

from training.commands.main import main

if __name__ == "__main__":
    main()
