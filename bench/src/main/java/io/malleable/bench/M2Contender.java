package io.malleable.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Our target in a process of its own, so that its CPU time is its own. */
final class M2Contender implements Contender {
  private final String name;
  private final Process process;
  private final int port;

  private M2Contender(String name, Process process, int port) {
    this.name = name;
    this.process = process;
    this.port = port;
  }

  /** Starts {@link ServeUnit} with its arguments. */
  static M2Contender start(String name, Path log, String... arguments) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                ProcessHandle.current().info().command().orElse("java"),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                ServeUnit.class.getName()));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectError(log.toFile()).start();
    BufferedReader output = process.inputReader();
    String port = output.readLine();
    if (port == null) {
      throw new IOException("our target did not start; see " + log);
    }
    return new M2Contender(name, process, Integer.parseInt(port));
  }

  int port() {
    return port;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String url() {
    return "iscsi://127.0.0.1:" + port + "/" + ServeUnit.IQN + "/0";
  }

  @Override
  public long pid() {
    return process.pid();
  }

  @Override
  public void stop() throws IOException, InterruptedException {
    process.getOutputStream().close();
    if (!process.waitFor(30, TimeUnit.SECONDS)) {
      process.destroyForcibly().waitFor();
    }
  }
}
