# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the connection options."""

from __future__ import annotations


class ModuleDocFragment:
    """Options by which every module reaches the API."""

    DOCUMENTATION = r"""
options:
  api_host:
    description:
      - API host of the cluster, or several, as C(host) or C(host:port); any node will do.
      - They are tried in order, and when the one in use stops answering, for example because it reboots, the next
        one is asked.
      - Without it the module must run on a Proxmox VE node as root and uses C(pvesh) there.
      - E(PROXMOX_HOST) is used when it is not given; several hosts are separated by commas there.
    type: list
    elements: str
  api_port:
    description:
      - Port of the hosts that name none themselves.
      - E(PROXMOX_PORT) is used when it is not given.
    type: int
    default: 8006
  api_user:
    description:
      - User with realm, such as V(automation@pve).
      - E(PROXMOX_USER) is used when it is not given.
    type: str
  api_password:
    description:
      - Password of the user. An API token is the better choice, except for options that need V(root@pam) itself.
      - E(PROXMOX_PASSWORD) is used when it is not given.
    type: str
  api_token_id:
    description:
      - Name of the user's API token, V(mobility), or with the user, V(automation@pve!mobility).
      - E(PROXMOX_TOKEN_ID) is used when it is not given.
    type: str
  api_token_secret:
    description:
      - Secret of the API token.
      - E(PROXMOX_TOKEN_SECRET) is used when it is not given.
    type: str
  validate_certs:
    description:
      - Whether the certificates of the API hosts must be trusted.
      - E(PROXMOX_VALIDATE_CERTS) is used when it is not given.
    type: bool
    default: true
  ca_path:
    description:
      - File with the CA certificate of the cluster, C(/etc/pve/pve-root-ca.pem) of any node, when the system does not
        trust it.
      - E(PROXMOX_CA_PATH) is used when it is not given.
    type: path
  api_timeout:
    description:
      - Seconds to wait for an answer. A connection must come about within 5 seconds or less.
      - E(PROXMOX_API_TIMEOUT) is used when it is not given.
    type: int
    default: 30
requirements:
  - proxmoxer >= 2.2
  - requests
"""
