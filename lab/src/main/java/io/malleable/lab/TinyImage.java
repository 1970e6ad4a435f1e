package io.malleable.lab;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * The small bootable image: a raw disk of 128 MiB for BIOS and UEFI, made from the distribution's
 * own packages. It finds its drive by iBFT, counts its boots, says {@code M2 READY boot=N} on the
 * serial console and to the server, and then gives a shell on that console.
 *
 * <p>The work is done by the script {@code tiny/build} among this room's resources.
 */
public final class TinyImage {
  private static final ImageBuild BUILD =
      new ImageBuild(
          "tiny",
          List.of(
              "build",
              "functions",
              "grub-early.cfg",
              "grub.cfg",
              "initramfs-init",
              "iscsid.conf",
              "m2-writer",
              "root-init"),
          Duration.ofMinutes(20));

  private final Path cache;
  private final Map<String, String> environment;

  /**
   * A builder.
   *
   * @param cache keeps packages and images, and is made when it is not there
   * @param environment of the programs that the builder calls: the search path, proxy settings
   */
  public TinyImage(Path cache, Map<String, String> environment) {
    this.cache = cache.toAbsolutePath();
    this.environment = Map.copyOf(environment);
  }

  /** Where this user keeps what can be made again: {@code $XDG_CACHE_HOME/m2}. */
  public static Path defaultCache(Map<String, String> environment) {
    String cacheHome = environment.getOrDefault("XDG_CACHE_HOME", "");
    return cacheHome.isBlank()
        ? Path.of(environment.getOrDefault("HOME", System.getProperty("user.home")), ".cache", "m2")
        : Path.of(cacheHome, "m2");
  }

  /**
   * The image, built now or before. It lies in the cache and must not be changed.
   *
   * @throws IOException when it cannot be built; the message says why and what helps
   */
  public Path build(ImageProgress progress) throws IOException {
    return BUILD.run(cache, environment, List.of(), progress);
  }
}
