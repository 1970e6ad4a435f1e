package io.malleable.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** {@code m2 doctor}: what is missing or damaged here, and what to do about it. */
public final class DoctorCommand extends ServerCommand {
  private final Argument verify =
      arguments.flag(
          "--verify", "read the whole store of a stopped server instead, and name what is damaged");
  private final Argument data =
      arguments.option(
          "--data", "DIR", "the server's data directory (default: M2_DATA, else this user's own)");
  private final StoreCheck storeCheck;

  /**
   * The command.
   *
   * @param storeCheck does the work of {@code --verify}
   */
  public DoctorCommand(StoreCheck storeCheck) {
    super("Checks this machine and the server; exit status 1 when something does not work");
    this.storeCheck = storeCheck;
  }

  @Override
  protected void run() {
    List<Finding> findings = verify.isSet() ? store() : examination();
    if (wantsJson()) {
      ArrayNode array = api().object().putArray("findings");
      for (Finding finding : findings) {
        array
            .addObject()
            .put("what", finding.what())
            .put("state", finding.state().name())
            .put("detail", finding.detail())
            .put("remedy", finding.remedy());
      }
      printJson(array);
    } else {
      findings.forEach(this::print);
    }
    out().flush();
    long failed = findings.stream().filter(f -> f.state() == Finding.State.failed).count();
    if (failed > 0) {
      throw new CommandFailure(
          failed + (failed == 1 ? " check" : " checks") + " failed, see above", null);
    }
  }

  private Path directory() {
    String given = data.orNull();
    return given == null ? Endpoint.defaultDataDirectory(terminal().environment()) : Path.of(given);
  }

  private List<Finding> examination() {
    List<Finding> findings = new Examination(terminal()).examine(this::api);
    try {
      findings.addAll(storeCheck.examine(directory()));
    } catch (IOException e) {
      findings.add(
          new Finding(
              "store",
              Finding.State.warning,
              "where " + directory() + " keeps its volumes cannot be read: " + Failures.reason(e),
              "Run this as the user of the server."));
    }
    return findings;
  }

  private List<Finding> store() {
    Path directory = directory();
    StoreCheck.Report report;
    try (ProgressLine line = new ProgressLine(terminal(), err(), "verify " + directory)) {
      report =
          storeCheck.check(
              directory,
              (done, total) ->
                  line.show(
                      total == 0 ? 1 : (double) done / total,
                      Sizes.format(done) + " of " + Sizes.format(total)));
    } catch (IOException e) {
      throw new CommandFailure(
          "the store in " + directory + " cannot be read: " + Failures.reason(e), null, e);
    }
    List<Finding> findings = new ArrayList<>();
    for (String damage : report.damages()) {
      findings.add(
          new Finding(
              "store",
              Finding.State.failed,
              damage,
              "Replace what depends on it from a backup, or import the image again; then look at the drive below."));
    }
    String read =
        Sizes.format(report.checkedBytes())
            + " compared with checksums, "
            + Sizes.format(report.uncheckedBytes())
            + " have none yet and were read";
    findings.add(Finding.ok("store", read));
    return findings;
  }

  private void print(Finding finding) {
    out()
        .println(String.format("%-7s %-22s %s", finding.state(), finding.what(), finding.detail()));
    if (!finding.remedy().isEmpty()) {
      out().println(" ".repeat(31) + finding.remedy());
    }
  }
}
