package io.malleable.lab;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Debian 12 as a golden image: a raw disk of 10 GiB, most of it a hole, for BIOS and UEFI. It finds
 * its drive by iBFT, keeps the NIC that it booted from up, and gets its name and keys by
 * cloud-init.
 *
 * <p>The work is done by the script {@code debian/build} among this room's resources, as root or in
 * a user namespace.
 */
public final class DebianImage {
  private static final String SUITE = "bookworm";

  private static final ImageBuild BUILD =
      new ImageBuild("debian", List.of("build", "configure", "system"), Duration.ofMinutes(90));

  private final Path cache;
  private final Map<String, String> environment;
  private final Optional<String> mirror;
  private final Optional<String> securityMirror;

  /**
   * A builder.
   *
   * @param cache keeps packages and images, and is made when it is not there
   * @param environment of the programs that the builder calls: the search path, proxy settings
   * @param mirror of Debian, an http or https URL; the image keeps it; empty: what apt uses here
   * @param securityMirror of its security updates; empty: the one that belongs to the mirror
   */
  public DebianImage(
      Path cache,
      Map<String, String> environment,
      Optional<String> mirror,
      Optional<String> securityMirror) {
    this.cache = cache.toAbsolutePath();
    this.environment = Map.copyOf(environment);
    this.mirror = mirror;
    this.securityMirror = securityMirror;
  }

  /**
   * The image, built now or before. It lies in the cache and must not be changed.
   *
   * @throws IOException when it cannot be built; the message says why and what helps
   */
  public Path build(ImageProgress progress) throws IOException {
    List<String> arguments = List.of(SUITE, mirror.orElse(""), securityMirror.orElse(""));
    return BUILD.run(cache, environment, arguments, progress);
  }
}
