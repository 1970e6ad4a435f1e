package io.malleable.bench;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** The whole server of some build, and a disk of it that is exposed: for a comparison of builds. */
final class ServerContender implements Contender {
  private static final String IMAGE = "image";
  private static final String DISK = "disk";
  private static final String FRESH = "fresh";

  private final String name;
  private final ServerProcess server;
  private final String url;
  private boolean fresh;

  private ServerContender(String name, ServerProcess server, String url) {
    this.name = name;
    this.server = server;
    this.url = url;
  }

  /**
   * Starts a server on a new data directory.
   *
   * @param classPath of its build
   * @param content of the image of which its disks are clones
   */
  static ServerContender start(String name, String classPath, Path data, Path content)
      throws IOException, InterruptedException {
    Files.createDirectories(data.getParent());
    ServerProcess server = ServerProcess.start(data, classPath);
    try {
      Map<String, String> source = Map.of("path", content.toString());
      server.call("POST", "/v1/images", Map.of("name", IMAGE, "format", "raw", "source", source));
      return new ServerContender(name, server, expose(server, DISK));
    } catch (IOException | InterruptedException e) {
      server.close();
      throw e;
    }
  }

  /** What a checkout has built. */
  static String classPathOf(Path checkout) throws IOException {
    Path jars = checkout.resolve("app/target/dist/lib");
    if (!Files.isDirectory(jars)) {
      throw new IOException(
          "--against: %s has no %s; build it with: %s --version"
              .formatted(checkout, checkout.relativize(jars), checkout.resolve("m2")));
    }
    return jars.toAbsolutePath() + "/*";
  }

  private static String expose(ServerProcess server, String disk)
      throws IOException, InterruptedException {
    server.call("POST", "/v1/disks", Map.of("name", disk, "image", IMAGE));
    JsonNode iscsi = server.expose(disk);
    String account = iscsi.path("username").asText() + "%" + iscsi.path("password").asText();
    return iscsi.path("url").asText().replace("iscsi://", "iscsi://" + account + "@");
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String url() {
    return url;
  }

  @Override
  public String freshUrl() throws IOException, InterruptedException {
    if (fresh) {
      server.call("POST", "/v1/disks/" + FRESH + "/withdraw", Map.of());
      server.call("DELETE", "/v1/disks/" + FRESH + "?purge=true", Map.of());
    }
    fresh = true;
    return expose(server, FRESH);
  }

  @Override
  public long pid() {
    return server.pid();
  }

  @Override
  public void stop() throws IOException {
    server.close();
  }
}
