package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.malleable.volume.TransferProgress;
import io.malleable.volume.imagefile.ImageFormat;
import io.malleable.volume.imagefile.ImageImporter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A store in a system whose root is a plain directory, as after chroot. It needs root, or the right
 * to make user namespaces.
 */
class PlainRootTest {
  /** Shows the whole system below a directory, of which only the directories above are its own. */
  private static final String ENTER =
      """
      set -eu
      root=$1
      shift
      for each in /*; do
        if [ -L "$each" ]; then
          cp -P "$each" "$root/"
        elif [ -d "$each" ]; then
          mkdir "$root$each"
          mount --rbind "$each" "$root$each"
        fi
      done
      exec chroot "$root" "$@"
      """;

  @TempDir Path directory;

  @Test
  void anImageIsImportedWhereTheRootIsNoMountPoint() throws Exception {
    Path root = Files.createDirectory(directory.resolve("root"));
    Files.createDirectory(root.resolve("store"));
    ChildJava.run(
        List.of(
            "unshare",
            System.getProperty("user.name").equals("root") ? "-m" : "-Urm",
            "--kill-child",
            "--fork",
            "sh",
            "-c",
            ENTER,
            "sh",
            root.toString()),
        Scenario.class,
        "/store",
        directory.resolve("scenario.log"));
  }

  /** Runs below that root. */
  static final class Scenario {
    private Scenario() {}

    public static void main(String[] arguments) throws IOException {
      Path directory = Path.of(arguments[0]);
      Path file = Files.write(directory.resolve("image.raw"), new byte[1 << 20]);
      try (LocalVolumeStore store =
          LocalVolumeStore.open(
              directory.resolve("volumes"), new LocalVolumeStore.Settings(1 << 20))) {
        ImageImporter importer = new ImageImporter(store, directory.resolve("staging"), 1 << 20);
        ImageImporter.Imported imported =
            importer.importFile(
                UUID.randomUUID(),
                file,
                Optional.of(ImageFormat.RAW),
                Optional.empty(),
                TransferProgress.NONE);
        assertEquals(1 << 20, imported.volume().sizeBytes());
      }
    }
  }
}
