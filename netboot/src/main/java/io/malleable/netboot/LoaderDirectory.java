package io.malleable.netboot;

import io.malleable.netboot.DhcpConfig.LoaderNames;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/**
 * The boot loaders that machines may fetch, by HTTP and by TFTP. Only the names listed here exist,
 * so no request can name another file of the host.
 */
public final class LoaderDirectory {
  /** Where Debian's package {@code ipxe} puts them. */
  private static final Path DISTRIBUTION = Path.of("/usr/lib/ipxe");

  private static final Set<String> NAMES =
      Set.of("ipxe.efi", "snponly.efi", "undionly.kpxe", "ipxe-arm64.efi", "snponly-arm64.efi");

  /** No loader of any build is near this; a larger file is a mistake of configuration. */
  private static final long MAX_SIZE_BYTES = 16L << 20;

  private final Path directory;

  private LoaderDirectory(Path directory) {
    this.directory = directory;
  }

  /** The loaders of Debian's package {@code ipxe}. */
  public static LoaderDirectory ofDistribution() {
    return new LoaderDirectory(DISTRIBUTION);
  }

  public static LoaderDirectory of(Path directory) {
    return new LoaderDirectory(directory);
  }

  /** Whether a loader can have this name. */
  static boolean isLoader(String name) {
    return NAMES.contains(name);
  }

  boolean has(String name) {
    return isLoader(name) && Files.isRegularFile(directory.resolve(name));
  }

  /** Those of the usual x86 loaders that are not there. */
  public List<String> missing() {
    return List.of(LoaderNames.usual().bios(), LoaderNames.usual().uefi64()).stream()
        .filter(name -> !has(name))
        .toList();
  }

  public Path directory() {
    return directory;
  }

  /**
   * The whole file: loaders are small, and one buffer keeps slow clients from holding files open.
   *
   * @throws NoSuchFileException when no loader has this name or it is not installed
   */
  byte[] read(String name) throws IOException {
    if (!has(name)) {
      throw new NoSuchFileException(
          name,
          null,
          "boot loader not in " + directory + "; install Debian's package ipxe or set loader path");
    }
    Path file = directory.resolve(name);
    long sizeBytes = Files.size(file);
    if (sizeBytes > MAX_SIZE_BYTES) {
      throw new IOException(file + " is no boot loader: " + sizeBytes + " bytes");
    }
    return Files.readAllBytes(file);
  }
}
