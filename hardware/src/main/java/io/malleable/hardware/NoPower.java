package io.malleable.hardware;

/** A machine that somebody else switches: nothing is known and nothing is done. */
final class NoPower implements PowerDriver {
  @Override
  public PowerState state() {
    return PowerState.UNKNOWN;
  }

  @Override
  public void on() {}

  @Override
  public void off() {}

  @Override
  public void bootFromNetworkOnce() {}

  @Override
  public void cycle() {}
}
