package io.malleable.app;

import java.util.logging.LogManager;

/**
 * Keeps logging while the process stops. The platform's manager drops all handlers in a shutdown
 * hook of its own, at the same time as ours stops the server and still has something to say.
 */
public final class LastingLogManager extends LogManager {
  static final String PROPERTY = "java.util.logging.manager";

  /** Made by the logging framework, which finds the class by {@link #PROPERTY}. */
  public LastingLogManager() {}

  /** Does nothing: handlers write through at once and need no closing. */
  @Override
  public void reset() {}
}
