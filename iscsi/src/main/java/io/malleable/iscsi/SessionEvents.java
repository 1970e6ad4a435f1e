package io.malleable.iscsi;

/** What the command path tells the connection, at most once each. */
interface SessionEvents {
  void firstRead();

  void firstWrite();
}
