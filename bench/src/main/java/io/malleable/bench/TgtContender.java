package io.malleable.bench;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The C target of the original M2 (Debian package tgt), on a raw file. */
final class TgtContender implements Contender {
  private static final String IQN = "iqn.2026-11.io.malleable.bench:tgt";
  private static final int START_ATTEMPTS = 100;

  private final Process process;
  private final int control;
  private final int port;

  private TgtContender(Process process, int control, int port) {
    this.process = process;
    this.control = control;
    this.port = port;
  }

  static TgtContender start(Path file, Path log) throws IOException, InterruptedException {
    Programs.require("tgtd", "tgt");
    int port = freePort();
    // The control channel is a UNIX socket whose name ends in this number; a process id does not
    // collide.
    int control = (int) (ProcessHandle.current().pid() % 30_000) + 1;
    Process process =
        new ProcessBuilder(
                "tgtd",
                "-f",
                "-C",
                Integer.toString(control),
                "--iscsi",
                "portal=127.0.0.1:" + port)
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    TgtContender tgt = new TgtContender(process, control, port);
    try {
      tgt.define(file);
    } catch (IOException e) {
      process.destroyForcibly();
      throw e;
    }
    return tgt;
  }

  private void define(Path file) throws IOException, InterruptedException {
    for (int attempt = 0; ; attempt++) {
      try {
        admin("--lld", "iscsi", "--op", "new", "--mode", "target", "--tid", "1", "-T", IQN);
        break;
      } catch (IOException e) {
        if (attempt == START_ATTEMPTS || !process.isAlive()) {
          throw e;
        }
        TimeUnit.MILLISECONDS.sleep(50);
      }
    }
    admin(
        "--lld",
        "iscsi",
        "--op",
        "new",
        "--mode",
        "logicalunit",
        "--tid",
        "1",
        "--lun",
        "1",
        "-b",
        file.toString());
    admin("--lld", "iscsi", "--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL");
  }

  private void admin(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("tgtadm", "-C", Integer.toString(control)));
    command.addAll(List.of(arguments));
    Programs.run(command);
  }

  @Override
  public String name() {
    return "tgtd, raw file";
  }

  @Override
  public String url() {
    return "iscsi://127.0.0.1:" + port + "/" + IQN + "/1";
  }

  @Override
  public long pid() {
    return process.pid();
  }

  @Override
  public void stop() throws InterruptedException {
    // tgtd ignores SIGTERM while it has targets; nothing in it is worth a clean end.
    process.destroyForcibly().waitFor();
  }

  static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }
}
