package io.malleable.bench;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The C target of the original M2 (Debian packages tgt and tgt-rbd), on a file or an RBD image. */
final class TgtContender implements Contender {
  private static final String IQN = "iqn.2026-11.io.malleable.bench:tgt";
  private static final int START_ATTEMPTS = 100;

  private final String name;
  private final Process process;
  private final int control;
  private final int port;

  private TgtContender(String name, Process process, int control, int port) {
    this.name = name;
    this.process = process;
    this.control = control;
    this.port = port;
  }

  static TgtContender start(Path file, Path log) throws IOException, InterruptedException {
    return start("tgtd, raw file", List.of("-b", file.toString()), log);
  }

  /** On an RBD image, {@code POOL/IMAGE}, as a cephx user. */
  static TgtContender startRbd(String name, Path conf, String user, String image, Path log)
      throws IOException, InterruptedException {
    if (!Files.exists(Path.of("/usr/lib/tgt/backing-store/bs_rbd.so"))) {
      throw new IOException("the Debian package tgt-rbd is not installed");
    }
    String options = "conf=" + conf + ";id=" + user;
    return start(name, List.of("-b", image, "--bstype", "rbd", "--bsopts", options), log);
  }

  private static TgtContender start(String name, List<String> backing, Path log)
      throws IOException, InterruptedException {
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
    TgtContender tgt = new TgtContender(name, process, control, port);
    try {
      tgt.define(backing);
    } catch (IOException e) {
      process.destroyForcibly();
      throw e;
    }
    return tgt;
  }

  private void define(List<String> backing) throws IOException, InterruptedException {
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
    List<String> unit =
        new ArrayList<>(List.of("--lld", "iscsi", "--op", "new", "--mode", "logicalunit"));
    unit.addAll(List.of("--tid", "1", "--lun", "1"));
    unit.addAll(backing);
    admin(unit.toArray(String[]::new));
    admin("--lld", "iscsi", "--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL");
  }

  private void admin(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("tgtadm", "-C", Integer.toString(control)));
    command.addAll(List.of(arguments));
    Programs.run(command);
  }

  @Override
  public String name() {
    return name;
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
