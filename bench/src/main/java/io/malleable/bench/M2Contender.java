package io.malleable.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Our target in a process of its own, so that its CPU time is its own. */
final class M2Contender implements Contender {
  private final String name;
  private final Process process;
  private final BufferedReader output;
  private final int port;
  private final boolean clones;

  private M2Contender(
      String name, Process process, BufferedReader output, int port, boolean clones) {
    this.name = name;
    this.process = process;
    this.output = output;
    this.port = port;
    this.clones = clones;
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
    boolean clones = arguments.length == ServeUnit.ARGUMENTS_FOR_CLONES;
    return new M2Contender(name, process, output, Integer.parseInt(port), clones);
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
    return url(ServeUnit.IQN);
  }

  @Override
  public String freshUrl() throws IOException {
    if (!clones) {
      return url();
    }
    OutputStream commands = process.getOutputStream();
    commands.write('\n');
    commands.flush();
    String target = output.readLine();
    if (target == null) {
      throw new IOException("our target made no clone; see its log");
    }
    return url(target);
  }

  private String url(String target) {
    return "iscsi://127.0.0.1:" + port + "/" + target + "/0";
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
