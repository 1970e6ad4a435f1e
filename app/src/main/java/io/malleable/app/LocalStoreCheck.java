package io.malleable.app;

import io.malleable.cli.CommandFailure;
import io.malleable.cli.Finding;
import io.malleable.cli.StoreCheck;
import io.malleable.volume.TransferProgress;
import io.malleable.volume.local.LocalVolumeStore;
import io.malleable.volume.local.VerifyReport;
import io.malleable.volume.rbd.RbdProbe;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * The store in {@code m2 doctor}: scrubs an embedded one that no server uses, and looks whether one
 * on Ceph can be reached.
 */
final class LocalStoreCheck implements StoreCheck {

  @Override
  public List<Finding> examine(Path data) throws IOException {
    List<Finding> findings = new ArrayList<>();
    Optional<Settings.Rbd> rbd = RbdNote.read(data);
    if (rbd.isPresent()) {
      for (RbdProbe.Result result : RbdProbe.run(Volumes.config(rbd.get(), new UUID(0, 0)))) {
        findings.add(
            result.error().isEmpty()
                ? Finding.ok(result.what(), result.detail())
                : new Finding(
                    result.what(), Finding.State.failed, result.detail(), result.error().get()));
      }
    }
    return findings;
  }

  @Override
  public Report check(Path data, Progress progress) throws IOException {
    Optional<Settings.Rbd> rbd = RbdNote.read(data);
    if (rbd.isPresent()) {
      String pool = rbd.get().pool();
      throw new CommandFailure(
          "nothing was verified: the volumes of this server are in the Ceph pool " + pool,
          "Ceph compares the copies of its objects with their checksums by itself, each at least once a week (deep scrub)."
              + " Start that now with: ceph osd pool deep-scrub "
              + pool
              + ". What it finds is in: ceph health detail, and object by object in: rados list-inconsistent-pg "
              + pool);
    }
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
