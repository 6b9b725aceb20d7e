"""Plans: engines chosen or built on the machine that runs them, and the cache they lie in."""
