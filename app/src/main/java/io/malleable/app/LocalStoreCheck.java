package io.malleable.app;

import io.malleable.cli.CommandFailure;
import io.malleable.cli.StoreCheck;
import io.malleable.volume.LocalVolumeStore;
import io.malleable.volume.TransferProgress;
import io.malleable.volume.VerifyReport;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** {@code m2 doctor --verify}: scrubs an embedded store that no server uses. */
final class LocalStoreCheck implements StoreCheck {

  @Override
  public Report check(Path data, Progress progress) throws IOException {
    Path volumes = data.resolve("volumes");
    if (!Files.isDirectory(volumes)) {
      throw new CommandFailure(
          "there is no store in " + volumes,
          "Name the data directory of a server with an embedded store: --data DIR.");
    }
    try (DataDirectory _ = DataDirectory.open(data);
        LocalVolumeStore store = LocalVolumeStore.openForReading(volumes)) {
      VerifyReport report = store.verify(watched(progress));
      List<String> damages = report.damages().stream().map(LocalStoreCheck::describe).toList();
      return new Report(report.checkedBytes(), report.uncheckedBytes(), damages);
    } catch (StartException e) {
      throw new CommandFailure(String.valueOf(e.getMessage()), e.hint(), e);
    }
  }

  private static String describe(VerifyReport.Damage damage) {
    return damage.volumes().isEmpty()
        ? damage.what() + "; no volume's data depends on it"
        : damage.what() + "; in volumes " + damage.volumes();
  }

  private static TransferProgress watched(Progress progress) {
    return new TransferProgress() {
      @Override
      public void onProgress(long doneBytes, long totalBytes) {
        progress.onProgress(doneBytes, totalBytes);
      }

      @Override
      public boolean cancelled() {
        return false;
      }
    };
  }
}
