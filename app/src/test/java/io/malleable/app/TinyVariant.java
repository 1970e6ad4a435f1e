package io.malleable.app;

import io.malleable.lab.TinyImage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** The small image with one thing changed, by the programs that made it. */
final class TinyVariant {
  private static final long EFI_BYTES = 4096L * 512;
  private static final long ROOT_BYTES = 20480L * 512;

  private final Path file;
  private final Path work;

  private TinyVariant(Path file, Path work) {
    this.file = file;
    this.work = work;
  }

  /** A copy to change; the image itself lies in the cache. */
  static TinyVariant copy(Path directory, String name) throws IOException, InterruptedException {
    Path image =
        new TinyImage(TinyImage.defaultCache(System.getenv()), System.getenv())
            .build((_, _, _) -> {});
    Path file = directory.resolve(name + ".raw");
    shell("cp --sparse=always \"$1\" \"$2\"", image.toString(), file.toString());
    return new TinyVariant(file, Files.createDirectory(directory.resolve(name + ".work")));
  }

  Path file() {
    return file;
  }

  /** Runs a command in the unpacked initramfs and packs it again. */
  TinyVariant initramfs(String command) throws IOException, InterruptedException {
    shell(
        """
        cd "$1"
        debugfs -R "dump /boot/initrd $1/initrd" "$2" 2>/dev/null
        mkdir tree && cd tree && zstd -qdc ../initrd | cpio -idm --quiet
        eval "$3"
        find . | sort | cpio --quiet -o -H newc -R 0:0 | zstd -q >../initrd.new
        printf 'cd /boot\\nrm initrd\\nwrite %s/initrd.new initrd\\n' "$1" >../commands
        debugfs -w -f ../commands "$2" >/dev/null 2>&1
        """,
        work.toString(), file + "?offset=" + ROOT_BYTES, command);
    return this;
  }

  /** Replaces text in GRUB's menu. */
  TinyVariant menu(String from, String to) throws IOException, InterruptedException {
    shell(
        """
        cd "$1"
        debugfs -R "dump /boot/grub/grub.cfg $1/grub.cfg" "$2" 2>/dev/null
        sed -i "s#$3#$4#" grub.cfg && grep -q "$4" grub.cfg
        printf 'cd /boot/grub\\nrm grub.cfg\\nwrite %s/grub.cfg grub.cfg\\n' "$1" >commands
        debugfs -w -f commands "$2" >/dev/null 2>&1
        """,
        work.toString(), file + "?offset=" + ROOT_BYTES, from, to);
    return this;
  }

  /** Deletes the loader for UEFI. */
  TinyVariant withoutEfiLoader() throws IOException, InterruptedException {
    shell("mdel -i \"$1\" ::/EFI/BOOT/BOOTX64.EFI", file + "@@" + EFI_BYTES);
    return this;
  }

  /** Replaces the root file system's first bytes with the magic number of another kind. */
  TinyVariant rootOf(String magic) throws IOException, InterruptedException {
    shell(
        """
        dd if=/dev/zero of="$1" bs=512 seek=20480 count=256 conv=notrunc status=none
        printf "$2" | dd of="$1" bs=512 seek=20480 conv=notrunc status=none
        """,
        file.toString(),
        magic);
    return this;
  }

  /** Cuts the drive off. */
  TinyVariant cutTo(int mebibytes) throws IOException, InterruptedException {
    shell("truncate -s \"$2\"M \"$1\"", file.toString(), Integer.toString(mebibytes));
    return this;
  }

  private static void shell(String script, String... arguments)
      throws IOException, InterruptedException {
    String[] command = new String[arguments.length + 4];
    command[0] = "bash";
    command[1] = "-euc";
    command[2] = script;
    command[3] = "tiny-variant";
    System.arraycopy(arguments, 0, command, 4, arguments.length);
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().merge("PATH", ":/usr/sbin:/sbin", String::concat);
    Process process = builder.start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(said + "\n" + script);
    }
  }
}
