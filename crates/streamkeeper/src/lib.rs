//! Keeps one-way event streams alive and loses nothing: the library.
