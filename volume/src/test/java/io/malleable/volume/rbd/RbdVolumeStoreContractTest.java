package io.malleable.volume.rbd;

import io.malleable.volume.VolumeStore;
import io.malleable.volume.VolumeStoreContract;
import java.io.IOException;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** The contract on a real cluster, each test in a pool of its own. */
final class RbdVolumeStoreContractTest extends VolumeStoreContract {
  private static CephCluster cluster;
  private @Nullable RbdConfig config;

  @BeforeAll
  static void startCluster() throws IOException, InterruptedException {
    cluster = CephCluster.start();
  }

  @AfterAll
  static void stopCluster() throws IOException, InterruptedException {
    cluster.stop();
  }

  @Override
  protected int granularityBytes() {
    return 4 * MIB; // RBD's object size
  }

  /** Each takes some ten milliseconds of a real cluster. */
  @Override
  protected int modelSteps() {
    return 500;
  }

  @Override
  protected int concurrentSteps() {
    return 60;
  }

  @Override
  protected VolumeStore openStore() throws IOException {
    if (config == null) {
      try {
        config = cluster.emptyPool();
      } catch (InterruptedException e) {
        throw new IOException("interrupted while a pool was created", e);
      }
    }
    return RbdVolumeStore.open(config);
  }
}
