package io.malleable.cli;

import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** The command {@code m2} itself. */
record Root(Terminal terminal) {

  CommandSpec spec() {
    CommandSpec spec = CommandSpec.wrapWithoutInspection(this).name("m2");
    spec.addOption(BaseCommand.helpOption());
    spec.addOption(
        OptionSpec.builder("-V", "--version")
            .versionHelp(true)
            .type(boolean.class)
            .description("show the version")
            .build());
    spec.versionProvider(() -> new String[] {"m2 " + Version.text()});
    spec.usageMessage()
        .synopsisSubcommandLabel("COMMAND")
        .description(
            "Turns a rack of servers into a cloud: they boot copy-on-write drives over the network.")
        .footerHeading("%nEnvironment:%n")
        .footer(
            "  M2_URL         the server (default http://127.0.0.1:8480)",
            "  M2_TOKEN_FILE  a file with the token; M2_TOKEN: the token itself. Without",
            "                 either, this user's own server's admin token is used.",
            "  M2_PROJECT     the project to act in (default \"default\")",
            "  M2_DATA        the data directory of this user's own server",
            "",
            "Exit status: 0 done, 1 failed, 2 not understood. Each command has --help.");
    return spec;
  }
}
