"""``affect-edge certificate``: the dashboard's own certificate, or one that its owner brings."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from edge_agent.cli.appliance import TLS_FOLDER
from edge_agent.cli.options import common_options, load, log_to_stderr


@click.group(invoke_without_command=True)
@common_options
@click.option(
    "--if-used", is_flag=True, help="Do nothing where the dashboard uses another, or none."
)
@click.pass_context
def certificate(
    context: click.Context, config: Path | None, data: Path | None, if_used: bool
) -> None:
    """Make the dashboard's own certificate, or renew it, and show its fingerprint."""
    log_to_stderr(logging.WARNING)
    if context.invoked_subcommand:
        return
    settings, folder = load(config, data)
    from edge_agent.appliance.certificate import CERTIFICATE, fingerprint, keep_certificate
    from edge_agent.appliance.certificates.pair import finish_replacement

    file = folder / TLS_FOLDER / CERTIFICATE
    served = settings.dashboard
    if served.certificate and served.key and served.certificate.parent.is_dir():
        finish_replacement(served.certificate, served.key)
    if if_used and served.certificate != file:
        return
    made = keep_certificate(file.parent)
    click.echo(f"{file}: {'made' if made else 'good'}, SHA-256 fingerprint")
    click.echo(f"  {fingerprint(file)}")


@certificate.command("install")
@click.option(
    "--cert",
    type=click.Path(path_type=Path),
    envvar="LEGO_CERT_PATH",
    metavar="FILE",
    help="Your certificate (PEM), followed by those that lead to its authority.",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    envvar="LEGO_CERT_KEY_PATH",
    metavar="FILE",
    help="Its private key (PEM), without a passphrase.",
)
@click.option(
    "--lineage",
    type=click.Path(path_type=Path),
    envvar="RENEWED_LINEAGE",
    metavar="FOLDER",
    help="Folder of certbot with fullchain.pem and privkey.pem, in place of --cert and --key.",
)
@common_options
def install(
    cert: Path | None,
    key: Path | None,
    lineage: Path | None,
    config: Path | None,
    data: Path | None,
) -> None:
    """Serve the dashboard with a certificate of yours; an open page stays open.

    Without options the files are taken that certbot (--deploy-hook) and lego (--run-hook,
    --renew-hook) name in the environment. They are checked first: what browsers would refuse is
    refused, and nothing changes.
    """
    if lineage is not None and cert is None and key is None:
        cert, key = lineage / "fullchain.pem", lineage / "privkey.pem"
    if cert is None or key is None:
        raise click.UsageError("Give --cert FILE and --key FILE, or --lineage FOLDER.")
    settings, folder = load(config, data)
    from edge_agent.appliance.certificate import CERTIFICATE, KEY, make_place
    from edge_agent.appliance.certificates.given import read_given
    from edge_agent.appliance.certificates.pair import replace_pair

    given = read_given(cert, key)
    served = settings.dashboard
    is_served = served.certificate is not None and served.key is not None
    target = served.certificate or folder / TLS_FOLDER / CERTIFICATE
    target_key = served.key or folder / TLS_FOLDER / KEY
    if target.exists() and target.samefile(cert):
        click.echo(f"{cert}: is the file that the dashboard uses; it takes a change by itself.")
        return
    if target.parent == folder / TLS_FOLDER:
        make_place(target.parent)
    replace_pair(target, target_key, given.content, given.secret)
    click.echo(f"Installed for {', '.join(given.names)}: {target}")
    click.echo(f"It ends on {given.ends:%Y-%m-%d}, in {given.days:.0f} days.")
    if not given.has_root:
        click.echo(f"Browsers take it where they trust {given.authority}.")
    if is_served:
        click.echo("The dashboard takes it within a minute, without a restart.")
    else:
        click.echo("The configuration names no certificate yet. Below [dashboard] write:")
        click.echo(f'  certificate = "{target}"')
        click.echo(f'  key = "{target_key}"')
        click.echo("and restart the dashboard.")
