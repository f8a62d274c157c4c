"""What a published model says about itself: its card and its page."""
