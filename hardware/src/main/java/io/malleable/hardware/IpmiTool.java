package io.malleable.hardware;

import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Runs {@code ipmitool} for one BMC. The password goes through the environment of that process,
 * which only its owner can read, never on the command line; nothing else of our environment goes
 * with it. Cipher suite 3 is asked for at once: finding out takes some BMCs 10 s.
 */
final class IpmiTool {
  static final String PROGRAM = "ipmitool";

  /** Far more than the commands that we use ever print. */
  private static final int MAX_OUTPUT_BYTES = 64 * 1024;

  /** IPMI 2.0, 13.20: RAKP knows user passwords of 20 bytes at most. */
  private static final int MAX_PASSWORD_BYTES = 20;

  private final BmcAddress.Ipmi address;
  private final Credentials credentials;
  private final Duration limit;

  IpmiTool(BmcAddress.Ipmi address, Credentials credentials, Duration limit) {
    this.address = address;
    this.credentials = credentials;
    this.limit = limit;
  }

  String name() {
    return address.host() + ":" + address.port();
  }

  /**
   * Runs one command to its end.
   *
   * @return what it printed
   * @throws PowerException when it failed, saying whether the network, the account or the BMC did
   */
  String run(String... command) throws IOException {
    var nothing = ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile());
    Process process = start(nothing, argv(command));
    CompletableFuture<String> output = new CompletableFuture<>();
    Thread.ofVirtual().name("ipmitool-output").start(() -> collect(process, output));
    try {
      String text = output.get(limit.toMillis(), TimeUnit.MILLISECONDS);
      if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new TimeoutException();
      }
      if (process.exitValue() != 0) {
        throw failure(text);
      }
      return text;
    } catch (TimeoutException e) {
      throw new PowerException(
          PowerException.Kind.UNREACHABLE,
          "the BMC " + name() + " has not answered within " + limit.toMillis() + " ms",
          "check its address and network; a BMC that hangs is restarted by: mc reset cold",
          e);
    } catch (ExecutionException e) {
      throw new IOException("cannot read what " + PROGRAM + " says", e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted while a BMC was asked");
    } finally {
      process.destroyForcibly();
    }
  }

  /** Starts a command that goes on until it is destroyed, with its input and output as pipes. */
  Process startSession(String... command) throws IOException {
    // It would keep what it says about the session to itself until the machine writes something.
    List<String> argv = new ArrayList<>(List.of("stdbuf", "-o0"));
    argv.addAll(argv(command));
    return start(ProcessBuilder.Redirect.PIPE, argv);
  }

  private Process start(ProcessBuilder.Redirect input, List<String> argv) throws IOException {
    ProcessBuilder builder = new ProcessBuilder(argv);
    builder.redirectInput(input).redirectErrorStream(true);
    builder.environment().keySet().removeIf(name -> !name.equals("PATH"));
    builder.environment().put("IPMITOOL_PASSWORD", password().reveal());
    try {
      return builder.start();
    } catch (IOException e) {
      // Not the cause: nothing that was built around the password goes into a stack trace.
      throw new PowerException(
          PowerException.Kind.CONFIGURATION,
          "cannot run " + PROGRAM,
          "install the Debian package ipmitool");
    }
  }

  private List<String> argv(String... command) {
    String host = address.host();
    String bare = host.startsWith("[") ? host.substring(1, host.length() - 1) : host;
    List<String> argv = new ArrayList<>(List.of(PROGRAM, "-I", "lanplus", "-C", "3"));
    // Verbose once: only then it tells a wrong password from a BMC that is not there.
    argv.addAll(List.of("-v", "-H", bare, "-p", Integer.toString(address.port())));
    argv.addAll(List.of("-U", address.user(), "-E", "-L", "OPERATOR", "-N", "2", "-R", "3"));
    // A character that nobody types, so that no input ends a console session by accident.
    argv.addAll(List.of("-e", "\u001f"));
    argv.addAll(List.of(command));
    return argv;
  }

  private Secret password() throws IOException {
    Secret secret =
        credentials
            .password(address.user(), address.host())
            .orElseThrow(() ->
                new PowerException(
                    PowerException.Kind.CONFIGURATION,
                    "there is no password for " + address.user() + "@" + address.host(),
                    "add it to the BMC credentials of the server"));
    if (secret.revealUtf8().length > MAX_PASSWORD_BYTES) {
      throw new PowerException(
          PowerException.Kind.CONFIGURATION,
          "the password of " + address.user() + "@" + address.host() + " is too long for IPMI",
          "use at most " + MAX_PASSWORD_BYTES + " bytes");
    }
    return secret;
  }

  private static void collect(Process process, CompletableFuture<String> output) {
    try (InputStream stream = process.getInputStream()) {
      byte[] bytes = stream.readNBytes(MAX_OUTPUT_BYTES);
      output.complete(new String(bytes, StandardCharsets.UTF_8));
    } catch (IOException e) {
      output.completeExceptionally(e);
    }
  }

  /** One table from ipmitool's words to ours. */
  PowerException failure(String text) {
    if (text.contains("RAKP")) {
      return new PowerException(
          PowerException.Kind.AUTHENTICATION,
          "the BMC " + name() + " refused user " + address.user() + ": " + rakpReason(text),
          "check the user and password, and that IPMI over LAN and OPERATOR are allowed for it");
    }
    if (text.contains("Address lookup for")) {
      return new PowerException(
          PowerException.Kind.CONFIGURATION,
          "the name of the BMC " + address.host() + " has no address",
          "check the node's bmc and the name server");
    }
    if (text.contains("Get Auth Capabilities error") || text.contains("Node busy")) {
      return new PowerException(
          PowerException.Kind.UNREACHABLE,
          "the BMC " + name() + " does not answer",
          "check its address and network, and that IPMI over LAN is enabled");
    }
    if (text.contains("Unable to establish IPMI v2")) {
      return new PowerException(
          PowerException.Kind.UNREACHABLE,
          "the BMC " + name() + " opens no session: " + lastLine(text),
          "check that it allows cipher suite 3 and has a session left");
    }
    return new PowerException(
        PowerException.Kind.REFUSED,
        "the BMC " + name() + " refused: " + lastLine(text),
        "look at the BMC's own event log");
  }

  private static String rakpReason(String text) {
    if (text.contains("HMAC is invalid")) {
      return "wrong password";
    }
    return text.lines()
        .filter(line -> line.contains("RAKP"))
        .findFirst()
        .map(line -> line.substring(line.lastIndexOf(':') + 1).strip())
        .orElse("");
  }

  private static String lastLine(String text) {
    return text.lines().filter(line -> !line.isBlank()).reduce("", (a, b) -> b).strip();
  }
}
