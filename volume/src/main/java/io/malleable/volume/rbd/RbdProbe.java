package io.malleable.volume.rbd;

import io.malleable.volume.Capacity;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Looks whether a pool could be used as a store, one requirement after the other. */
public final class RbdProbe {
  private RbdProbe() {}

  /**
   * One requirement.
   *
   * @param detail what was found
   * @param error what is wrong and what to do; absent when all is well
   */
  public record Result(String what, String detail, Optional<String> error) {}

  private interface Look {
    String at() throws IOException;
  }

  /** Ends at the first that is not met, as the others need it. Changes nothing. */
  public static List<Result> run(RbdConfig config) {
    List<Result> results = new ArrayList<>();
    boolean goOn =
        look(
            results,
            "Ceph libraries",
            () -> {
              CephLibraries.get();
              return "librados and librbd";
            });
    goOn = goOn && look(results, "Ceph configuration", () -> readable(config));
    if (goOn) {
      look(results, "Ceph cluster", () -> cluster(config, results));
    }
    return results;
  }

  private static String readable(RbdConfig config) throws IOException {
    if (!Files.isReadable(config.conf())) {
      throw new IOException(
          "store.rbd.conf: " + config.conf() + " cannot be read; name the cluster's ceph.conf");
    }
    return config.conf().toString();
  }

  private static String cluster(RbdConfig config, List<Result> results) throws IOException {
    try (RbdCluster cluster = new RbdCluster(config)) {
      look(
          results,
          "Ceph pool",
          () -> {
            try {
              int images = cluster.names().size();
              Capacity space = cluster.capacity();
              return config.pool()
                  + ", "
                  + images
                  + " images, "
                  + (space.availableBytes() >> 20)
                  + " MiB available";
            } catch (CephException e) {
              throw RbdErrors.translated(config, "pool " + config.pool(), e);
            }
          });
      return "the monitors answer, the key of client." + config.user() + " is accepted";
    }
  }

  private static boolean look(List<Result> results, String what, Look look) {
    try {
      results.add(new Result(what, look.at(), Optional.empty()));
      return true;
    } catch (IOException e) {
      results.add(new Result(what, "does not work", Optional.of(String.valueOf(e.getMessage()))));
      return false;
    }
  }
}
