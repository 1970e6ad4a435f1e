package io.malleable.bench;

import java.io.IOException;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;

/** Takes the time of calls, by rounds of which the first does not count. */
final class CallTimes {
  static final long GIB = 1L << 30;

  /** Of drives, in bytes. */
  static final long[] SIZES = {GIB, 64 * GIB, 1024 * GIB};

  /** Layers of a chain. */
  static final int[] DEPTHS = {1, 8, 64};

  /** What an image holds, at its beginning. */
  static final int DATA_BYTES = 64 << 20;

  /** Writes per second while a snapshot is taken. */
  static final int[] LOADS = {2_000, WriteLoad.FLAT_OUT};

  /** What is written in this time is what a snapshot under load finds not yet durable. */
  private static final long LOAD_MILLIS = 300;

  private final VolumeReport report;
  private final int rounds;

  CallTimes(VolumeReport report, int rounds) {
    this.report = report;
    this.rounds = rounds;
  }

  /** Something to be measured. */
  interface Call {
    void run() throws IOException, InterruptedException;
  }

  /** What is done in each round. */
  interface Work {
    void run(Round round) throws IOException, InterruptedException;
  }

  static String atSize(String call, long sizeBytes) {
    return call + ", " + (sizeBytes >> 30) + " GiB";
  }

  static String atDepth(String call, int depth) {
    return call + " at depth " + depth;
  }

  void rounds(Work work) throws IOException, InterruptedException {
    for (int round = 0; round <= rounds; round++) {
      work.run(new Round(round > 0));
    }
  }

  private static double millis(Call call) throws IOException, InterruptedException {
    long started = System.nanoTime();
    call.run();
    return (System.nanoTime() - started) / 1e6;
  }

  /** One of several repetitions. */
  final class Round {
    private final boolean counts;

    Round(boolean counts) {
      this.counts = counts;
    }

    /**
     * Where the times of this round go.
     *
     * @param title of a row, from what is called
     */
    Row row(String contender, UnaryOperator<String> title) {
      return (what, call) -> {
        double millis = millis(call);
        if (counts) {
          report.call(title.apply(what), contender, millis);
        }
      };
    }

    /** A snapshot of a disk that is written to before and meanwhile. */
    void underLoad(String contender, int perSecond, WriteLoad load, Call snapshot)
        throws IOException, InterruptedException {
      long before = load.count();
      long started = System.nanoTime();
      TimeUnit.MILLISECONDS.sleep(LOAD_MILLIS);
      double reached = (load.count() - before) * 1e9 / (System.nanoTime() - started);
      load.forgetLongest();
      double millis = millis(snapshot);
      double longest = load.longestMillis();
      if (counts) {
        report.load(contender, loadTitle(perSecond), reached, millis, longest);
      }
    }
  }

  private static String loadTitle(int perSecond) {
    return perSecond == WriteLoad.FLAT_OUT
        ? "as fast as they return"
        : String.format(Locale.ROOT, "%,d/s", perSecond);
  }

  /** Takes the time of one call. */
  interface Row {
    void time(String what, Call call) throws IOException, InterruptedException;
  }
}
