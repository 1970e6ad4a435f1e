package io.malleable.volume.rbd;

import java.io.IOException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** Tests that share one real cluster, from before the first to after the last. */
abstract class OnCephCluster {
  static CephCluster cluster;

  @BeforeAll
  static void startCluster() throws IOException, InterruptedException {
    cluster = CephCluster.start();
  }

  @AfterAll
  static void stopCluster() throws IOException, InterruptedException {
    cluster.stop();
  }
}
