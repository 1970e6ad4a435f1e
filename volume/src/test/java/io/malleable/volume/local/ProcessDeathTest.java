package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.volume.ModelRun;
import io.malleable.volume.local.FaultyFiles.Fault;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * The process dies at each call in turn that the store makes to its files, and the host lives on: a
 * machine whose writes were answered never notices.
 */
class ProcessDeathTest {
  private static final LocalVolumeStore.Settings SETTINGS =
      new LocalVolumeStore.Settings(0, 3, Pack.MAX_BLOCKS, Duration.ZERO);
  private static final int STEPS = 70;
  private static final int NEW_SEEDS = 2;
  private static final int CALLS_UNTIL_CUT = 120;

  private interface Scenario {
    void run(long seed, ModelRun model, FaultyFiles files) throws IOException;
  }

  private static void atEveryCall(Scenario afterDeath) throws IOException {
    for (int i = 0; i < NEW_SEEDS; i++) {
      atEveryCall(new Random().nextLong(), afterDeath);
    }
  }

  private static void atEveryCall(long seed, Scenario afterDeath) throws IOException {
    boolean died = true;
    for (long call = 0; died; call++) {
      FaultyFiles files = new FaultyFiles();
      files.faultAt(call, Fault.PROCESS_DEATH);
      ModelRun model = null;
      try {
        model = new ModelRun(LocalVolumeStore.open(files, SETTINGS), seed);
        model.dyingWith(files::powerIsOff);
        model.run(STEPS);
        died = false;
        files.die();
      } catch (IOException e) {
        assertTrue(files.powerIsOff(), e::toString);
      }
      if (model == null) {
        continue;
      }
      try {
        afterDeath.run(seed ^ call, model, files.afterProcessDeath());
      } catch (AssertionError | IOException | RuntimeException e) {
        throw new AssertionError(
            "seed %dL, death at call %d, %s: %s after %s"
                .formatted(seed, call, files.faultedCall(), e, last(model.history())),
            e);
      }
    }
  }

  private static List<String> last(List<String> history) {
    return history.subList(Math.max(0, history.size() - 40), history.size());
  }

  private static LocalVolumeStore reopen(ModelRun model, FaultyFiles files) throws IOException {
    LocalVolumeStore store = LocalVolumeStore.open(files, SETTINGS);
    model.use(store);
    model.dyingWith(files::powerIsOff);
    return store;
  }

  @Test
  void allThatWasAnsweredIsThereAfterADeathAtAnyCall() throws IOException {
    atEveryCall((seed, model, files) -> {
      reopen(model, files);
      model.checkAllAfterProcessDeath();
      model.run(STEPS / 4);
      model.checkAll();
    });
  }

  @Test
  void whatADeadProcessHadNotFlushedIsDurableAfterTheFirstFlushOfTheNext() throws IOException {
    atEveryCall((seed, model, files) -> {
      reopen(model, files);
      model.checkAllAfterProcessDeath();
      model.flushAll();
      reopen(model, files.afterPowerCut(new Random(seed)));
      model.checkAllAfterPowerCut();
    });
  }

  @Test
  void afterADeathAndAPowerCutAtAnyCallFlushedDataIsThereAndTheRestIsOldOrNew() throws IOException {
    atEveryCall((seed, model, files) -> {
      reopen(model, files);
      model.checkAllAfterProcessDeath();
      files.faultAt(new Random(seed).nextInt(CALLS_UNTIL_CUT), Fault.POWER_CUT);
      try {
        model.run(STEPS);
      } catch (IOException e) {
        assertTrue(files.powerIsOff(), e::toString);
      }
      reopen(model, files.afterPowerCut(new Random(seed)));
      model.checkAllAfterPowerCut();
    });
  }

  @Test
  void aSecondDeathDuringTheStartAndTheFirstWorkAfterItLosesNothingEither() throws IOException {
    atEveryCall((seed, model, files) -> {
      files.faultAt(new Random(seed).nextInt(CALLS_UNTIL_CUT), Fault.PROCESS_DEATH);
      try {
        LocalVolumeStore store = LocalVolumeStore.open(files, SETTINGS);
        store.maintain();
      } catch (IOException e) {
        assertTrue(files.powerIsOff(), e::toString);
      }
      FaultyFiles again = files.afterProcessDeath();
      reopen(model, again);
      model.checkAllAfterProcessDeath();
      model.flushAll();
      reopen(model, again.afterPowerCut(new Random(seed)));
      model.checkAllAfterPowerCut();
    });
  }
}
