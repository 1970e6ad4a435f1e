package io.malleable.hardware;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Makes a power driver of a BMC that cannot be trusted: repeats what got lost, and believes a
 * command only when the state has followed. A command that was accepted and then forgotten, as BMCs
 * do right after a power change, is given again twice.
 */
final class VerifiedPower implements PowerDriver {
  private static final Logger LOG = System.getLogger(VerifiedPower.class.getName());
  private static final int COMMANDS = 3;
  private static final Duration FIRST_POLL = Duration.ofMillis(50);
  private static final Duration LAST_POLL = Duration.ofSeconds(2);

  @FunctionalInterface
  private interface Request<T> {
    T send() throws IOException;
  }

  private final Bmc bmc;
  private final BmcLimits limits;
  private final Lock lock = new ReentrantLock();

  VerifiedPower(Bmc bmc, BmcLimits limits) {
    this.bmc = bmc;
    this.limits = limits;
  }

  @Override
  public PowerState state() throws IOException {
    return alone(this::observed);
  }

  @Override
  public void on() throws IOException {
    alone(command(() -> change(PowerState.ON, bmc::powerOn)));
  }

  @Override
  public void off() throws IOException {
    alone(command(() -> change(PowerState.OFF, bmc::powerOff)));
  }

  @Override
  public void bootFromNetworkOnce() throws IOException {
    alone(command(() -> repeated("network boot", command(bmc::bootFromNetworkOnce))));
  }

  /** One caller at a time, and nothing of the BMC is held between calls. */
  private <T> T alone(Request<T> call) throws IOException {
    lock.lock();
    try {
      return call.send();
    } finally {
      bmc.release();
      lock.unlock();
    }
  }

  private PowerState observed() throws IOException {
    return repeated("power state", bmc::powerState);
  }

  @FunctionalInterface
  private interface Command {
    void send() throws IOException;
  }

  private static Request<Boolean> command(Command command) {
    return () -> {
      command.send();
      return true;
    };
  }

  private void change(PowerState wanted, Command command) throws IOException {
    if (observed() == wanted) {
      return;
    }
    Duration each = limits.stateChange().dividedBy(COMMANDS);
    for (int i = 0; i < COMMANDS; i++) {
      repeated("power " + word(wanted), command(command));
      if (reached(wanted, each)) {
        return;
      }
      LOG.log(Level.WARNING, "{0} has not gone {1}; telling it again", bmc.name(), word(wanted));
    }
    throw new PowerException(
        PowerException.Kind.NOT_APPLIED,
        "the BMC "
            + bmc.name()
            + " accepted power "
            + word(wanted)
            + " but the machine has not followed in "
            + seconds(limits.stateChange()),
        "look at the BMC's own event log: power supply, front panel lock-out, a hung BMC");
  }

  private boolean reached(PowerState wanted, Duration limit) throws IOException {
    long deadlineNanos = System.nanoTime() + limit.toNanos();
    Duration poll = FIRST_POLL;
    while (observed() != wanted) {
      if (System.nanoTime() > deadlineNanos) {
        return false;
      }
      pause(poll);
      poll = poll.multipliedBy(2).compareTo(LAST_POLL) < 0 ? poll.multipliedBy(2) : LAST_POLL;
    }
    return true;
  }

  private <T> T repeated(String what, Request<T> request) throws IOException {
    Duration pause = limits.firstPause();
    for (int attempt = 1; ; attempt++) {
      try {
        return request.send();
      } catch (PowerException e) {
        if (e.kind() == PowerException.Kind.UNREACHABLE) {
          bmc.abandon();
        }
        if (e.kind() != PowerException.Kind.UNREACHABLE || attempt >= limits.attempts()) {
          throw e;
        }
        LOG.log(Level.INFO, "{0}: {1} failed, trying again: {2}", bmc.name(), what, e.getMessage());
      }
      pause(pause);
      pause = pause.multipliedBy(2);
    }
  }

  private static void pause(Duration time) throws IOException {
    try {
      Thread.sleep(time);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while waiting for a BMC");
    }
  }

  private static String word(PowerState state) {
    return state.name().toLowerCase(Locale.ROOT);
  }

  private static String seconds(Duration time) {
    return time.toMillis() % 1000 == 0 ? time.toSeconds() + " s" : time.toMillis() + " ms";
  }
}
