package io.malleable.netboot;

import io.malleable.netboot.DhcpConfig.LoaderNames;
import java.util.Optional;
import java.util.OptionalInt;

/** Chooses what a client loads next. */
final class BootFile {
  private static final int BIOS = 0;
  private static final int EFI_BC = 7;
  private static final int EFI_X64 = 9;
  private static final int EFI_ARM64 = 11;
  private static final int EFI_X64_HTTP = 16;
  private static final int EFI_ARM64_HTTP = 19;

  private BootFile() {}

  /**
   * A file name on TFTP or a URL.
   *
   * @return empty for an operating system, or a processor without a loader
   */
  static Optional<String> of(DhcpClient client, DhcpConfig config) {
    return switch (client.kind()) {
      case IPXE -> Optional.of(config.httpBase() + "/boot.ipxe");
      case PXE -> loader(client.architecture(), config.loaders());
      case HTTP ->
          loader(client.architecture(), config.loaders())
              .map(name -> config.httpBase() + "/" + name);
      case OTHER -> Optional.empty();
    };
  }

  private static Optional<String> loader(OptionalInt architecture, LoaderNames names) {
    // BIOS ROMs from before RFC 4578 do not send their architecture.
    return switch (architecture.orElse(BIOS)) {
      case BIOS -> Optional.of(names.bios());
      // 7 was assigned to EFI byte code, and x86-64 firmware has used it ever since.
      case EFI_BC, EFI_X64, EFI_X64_HTTP -> Optional.of(names.uefi64());
      case EFI_ARM64, EFI_ARM64_HTTP -> Optional.of(names.uefiArm64());
      default -> Optional.empty();
    };
  }
}
