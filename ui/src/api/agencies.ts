import { api } from './client';
import type { Agency } from './types';

export const agenciesQuery = { queryKey: ['agencies'], queryFn: () => api<{ agencies: Agency[] }>('/agencies').then((a) => a.agencies), staleTime: 300_000 };
