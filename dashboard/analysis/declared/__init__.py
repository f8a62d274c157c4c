"""What a question declares in words of its own: families of tests."""
