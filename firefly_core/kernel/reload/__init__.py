"""Hot reload: other people's code is made anew in a running server, either all of it or nothing."""
