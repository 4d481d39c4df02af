# SPDX-FileCopyrightText: 2026 pve.mobility contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated Proxmox VE cluster that speaks the Proxmox VE API.

The lab is a witness: it shares no code with the collection, keeps its state the way Proxmox VE keeps it
(configuration text, volumes, task logs) and answers as the recorded exchanges of a genuine cluster do.
"""
