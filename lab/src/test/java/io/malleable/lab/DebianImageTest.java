package io.malleable.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What stops a build. Whether the image boots is for the long boot test to say. As the build
 * itself, these tests need root or a user namespace with subordinate ids.
 */
@Timeout(120)
class DebianImageTest {
  @TempDir Path directory;

  @Test
  void missingProgramIsNamedWithItsPackageAndTheCommandThatInstallsIt() throws Exception {
    Path bin = Files.createDirectory(directory.resolve("bin"));
    for (String program : List.of("bash", "dirname", "uname", "cat")) {
      Files.copy(Path.of("/bin", program), bin.resolve(program));
    }
    String message = failure(Optional.empty(), Map.of("PATH", bin.toString(), "HOME", "/"));
    assertTrue(message.contains("install them as root: apt-get install"), message);
    assertTrue(message.contains("mtools"), message);
  }

  @Test
  void passwordInTheMirrorsAddressIsRefusedAndNotRepeated() {
    String message = failure(Optional.of("http://me:geheim@mirror.test/debian"), System.getenv());
    assertTrue(message.contains("without a password"), message);
    assertFalse(message.contains("geheim"), message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "http://mirror.test/debian\ndeb http://other.test/ bookworm main",
        "http://mirror.test/\tdebian",
        "http://mirror.test/a path"
      })
  void mirrorThatIsNotOneWordIsRefused(String mirror) {
    String message = failure(Optional.of(mirror), System.getenv());
    assertTrue(message.contains("it must be http://HOST/PATH"), message);
  }

  @Test
  void scriptsOfPackagesDoNotSeeTheCallersSecrets() {
    Map<String, String> needed =
        Map.of("PATH", "/bin", "HOME", "/", "https_proxy", "http://p", "NO_PROXY", "localhost");
    Map<String, String> environment = new HashMap<>(needed);
    environment.putAll(Map.of("M2_TOKEN", "geheim", "AWS_SECRET_ACCESS_KEY", "geheim"));
    assertEquals(needed, ImageBuild.passedOn(environment));
  }

  @Test
  void mirrorWithoutDebianIsNamedWithTheFlagThatNamesAnother() throws Exception {
    try (ServerSocket mirror = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
      Thread.ofVirtual().start(() -> refuseAll(mirror));
      String url = "http://127.0.0.1:" + mirror.getLocalPort() + "/debian";
      String message = failure(Optional.of(url), System.getenv());
      assertTrue(message.contains(url + " does not offer Debian's bookworm"), message);
      assertTrue(message.contains("--mirror"), message);
      assertNothingLeft();
    }
  }

  @Test
  void interruptedBuildEndsAtOnceAndLeavesNeitherFilesNorProcesses() throws Exception {
    try (ServerSocket mirror = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
      String url = "http://127.0.0.1:" + mirror.getLocalPort() + "/debian";
      CompletableFuture<String> message = new CompletableFuture<>();
      Thread build =
          Thread.ofPlatform()
              .start(() -> {
                try {
                  message.complete(failure(Optional.of(url), System.getenv()));
                } catch (AssertionError e) {
                  message.completeExceptionally(e);
                }
              });
      // It has asked, and gets no answer.
      Socket asked = mirror.accept();
      long before = ProcessHandle.current().descendants().count();
      assertTrue(before > 0);
      build.interrupt();
      message.get(60, TimeUnit.SECONDS);
      build.join();
      asked.close();
      assertEquals(0, ProcessHandle.current().descendants().count());
      assertNothingLeft();
    }
  }

  private String failure(Optional<String> mirror, Map<String, String> environment) {
    DebianImage image =
        new DebianImage(directory.resolve("cache"), environment, mirror, Optional.empty());
    IOException e = assertThrows(IOException.class, () -> image.build((_, _, _) -> {}));
    return String.valueOf(e.getMessage());
  }

  private void assertNothingLeft() throws IOException {
    try (Stream<Path> files = Files.walk(directory.resolve("cache"))) {
      assertEquals(
          List.of("lock"),
          files.filter(Files::isRegularFile).map(f -> f.getFileName().toString()).toList());
    }
    try (Stream<Path> files = Files.list(directory.resolve("cache/debian-12"))) {
      assertTrue(files.noneMatch(f -> f.getFileName().toString().startsWith("work.")));
    }
  }

  private static void refuseAll(ServerSocket mirror) {
    try {
      while (true) {
        try (Socket client = mirror.accept()) {
          client
              .getOutputStream()
              .write(
                  "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                      .getBytes(StandardCharsets.US_ASCII));
        }
      }
    } catch (IOException e) {
      // The test closed it.
    }
  }
}
