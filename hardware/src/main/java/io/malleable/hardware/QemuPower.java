package io.malleable.hardware;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.UserPrincipal;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Lock;
import org.jspecify.annotations.Nullable;

/**
 * Powers a machine of the lab by starting and ending its QEMU. The process belongs to nobody: it
 * runs in a session of its own, survives the server, and is found again by the next one.
 */
final class QemuPower implements PowerDriver {
  private static final Logger LOG = System.getLogger(QemuPower.class.getName());

  /** QEMU needs 40 ms on an idle machine; many may start at once. */
  private static final Duration START_LIMIT = Duration.ofSeconds(20);

  private static final Duration MONITOR_LIMIT = Duration.ofSeconds(2);
  private static final Duration QUIT_LIMIT = Duration.ofSeconds(2);
  private static final Duration KILL_LIMIT = Duration.ofSeconds(10);
  private static final Duration LOCK_POLL = Duration.ofMillis(20);

  /** Of QEMU's own messages, in an error of ours. */
  private static final int MAX_REASON_CHARS = 600;

  private final MachineDirectory directory;
  private final @Nullable String user;
  private final Lock lock;

  /**
   * A driver for one machine.
   *
   * @param lock shared by all drivers of this machine in this process; QEMU's own lock on the pid
   *     file guards against another process
   */
  QemuPower(MachineDirectory directory, @Nullable String user, Lock lock) {
    this.directory = directory;
    this.user = user;
    this.lock = lock;
  }

  @Override
  public PowerState state() throws IOException {
    MachineDefinition.read(directory.path());
    new ConsoleLog(directory).trim();
    return runningState();
  }

  @Override
  public void on() throws IOException {
    lock.lock();
    try {
      if (runningState() == PowerState.ON) {
        return;
      }
      end();
      start();
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void off() throws IOException {
    lock.lock();
    try {
      end();
    } finally {
      lock.unlock();
    }
  }

  /** A machine of the lab has no drive, so the network is all it ever boots from. */
  @Override
  public void bootFromNetworkOnce() {}

  @Override
  public void cycle() throws IOException {
    lock.lock();
    try {
      end();
      start();
    } finally {
      lock.unlock();
    }
  }

  private PowerState runningState() throws IOException {
    Optional<QemuProcess> process = QemuProcess.find(directory.pidFile());
    if (process.isEmpty()) {
      return PowerState.OFF;
    }
    try (QmpClient monitor = QmpClient.connect(directory.monitorSocket(), MONITOR_LIMIT)) {
      String status = monitor.execute("query-status").path("status").asText();
      return status.equals("shutdown") ? PowerState.OFF : PowerState.ON;
    } catch (IOException e) {
      if (!process.get().runs()) {
        return PowerState.OFF;
      }
      // It has power as long as it runs, whatever its monitor is busy with.
      LOG.log(Level.DEBUG, () -> directory.name() + " runs, but its monitor said: " + e);
      return PowerState.ON;
    }
  }

  private void start() throws IOException {
    MachineDefinition machine = MachineDefinition.read(directory.path());
    List<String> command = QemuCommandLine.of(machine, directory, user);
    new ConsoleLog(directory).startAnew();
    giveToUser();
    ProcessBuilder builder = new ProcessBuilder(command).directory(directory.path().toFile());
    builder.redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
    builder.redirectErrorStream(true).redirectOutput(directory.qemuLog().toFile());
    // Nothing of our environment, least of all a token, is a lab machine's business.
    builder.environment().keySet().removeIf(name -> !name.equals("PATH"));
    long deadlineNanos = System.nanoTime() + KILL_LIMIT.toNanos();
    while (!launch(builder)) {
      // The one before has ended, but the kernel has not yet taken its lock on the pid file back.
      if (!reason().contains("lock pid file") || System.nanoTime() > deadlineNanos) {
        throw new PowerException(
            PowerException.Kind.CONFIGURATION, "QEMU did not start: " + reason(), remedy(reason()));
      }
      pause();
    }
  }

  /** Nothing tells when the kernel frees a lock; the loop that calls this has a limit. */
  private static void pause() throws IOException {
    try {
      Thread.sleep(LOCK_POLL);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while QEMU started");
    }
  }

  /** Whether it runs; if not, its log says why. */
  private boolean launch(ProcessBuilder builder) throws IOException {
    Process launcher;
    try {
      launcher = builder.start();
    } catch (IOException e) {
      throw new PowerException(
          PowerException.Kind.CONFIGURATION,
          "cannot run " + builder.command().getFirst() + ": " + e.getMessage(),
          "install the Debian packages qemu-system-x86 and ipxe-qemu",
          e);
    }
    try {
      if (!launcher.waitFor(START_LIMIT.toMillis(), TimeUnit.MILLISECONDS)) {
        launcher.destroyForcibly();
        throw new PowerException(
            PowerException.Kind.NOT_APPLIED,
            "QEMU did not start within " + START_LIMIT.toSeconds() + " s",
            "see " + directory.qemuLog() + "; the host may be overloaded");
      }
    } catch (InterruptedException e) {
      launcher.destroyForcibly();
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while QEMU started");
    }
    return launcher.exitValue() == 0 && QemuProcess.find(directory.pidFile()).isPresent();
  }

  private void end() throws IOException {
    Optional<QemuProcess> found = QemuProcess.find(directory.pidFile());
    if (found.isEmpty()) {
      return;
    }
    QemuProcess process = found.get();
    try (QmpClient monitor = QmpClient.connect(directory.monitorSocket(), MONITOR_LIMIT)) {
      monitor.execute("quit");
    } catch (IOException e) {
      // Usually it has quit before it answered; whether it did is checked below.
      LOG.log(Level.DEBUG, () -> directory.name() + " was told to quit: " + e);
    }
    if (process.endsWithin(QUIT_LIMIT)) {
      return;
    }
    process.handle().destroyForcibly();
    if (!process.endsWithin(KILL_LIMIT)) {
      throw new PowerException(
          PowerException.Kind.NOT_APPLIED,
          "QEMU, process " + process.handle().pid() + ", does not end",
          "see whether it hangs in the kernel: cat /proc/" + process.handle().pid() + "/stack");
    }
  }

  /** QEMU without our rights must still write its log, its pid file and its sockets. */
  private void giveToUser() throws IOException {
    if (user == null) {
      return;
    }
    UserPrincipal owner;
    try {
      owner =
          directory
              .path()
              .getFileSystem()
              .getUserPrincipalLookupService()
              .lookupPrincipalByName(user);
    } catch (java.nio.file.attribute.UserPrincipalNotFoundException e) {
      throw new PowerException(
          PowerException.Kind.CONFIGURATION,
          "there is no user " + user + " to run lab machines as",
          "create it, or configure another one",
          e);
    }
    Files.setOwner(directory.path(), owner);
    try (var files = Files.newDirectoryStream(directory.path())) {
      for (Path file : files) {
        Files.setOwner(file, owner);
      }
    }
  }

  private String reason() throws IOException {
    String text = Files.exists(directory.qemuLog()) ? Files.readString(directory.qemuLog()) : "";
    text = text.strip();
    return text.length() <= MAX_REASON_CHARS
        ? text
        : text.substring(text.length() - MAX_REASON_CHARS);
  }

  private String remedy(String reason) {
    if (reason.contains("romfile") || reason.contains(".rom")) {
      return "install the Debian package ipxe-qemu";
    }
    if (reason.contains("/dev/net/tun") || reason.contains("tap")) {
      return "make the tap interface first and own it; m2 lab up --rack does";
    }
    return "see " + directory.qemuLog();
  }
}
